"""From a trained network and a video to masks: clips, votes, sizes, the streaming predictor."""
