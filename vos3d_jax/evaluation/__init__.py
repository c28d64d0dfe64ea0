"""How good masks are: metrics, the benchmarks that say what is scored, scores and their reports."""
