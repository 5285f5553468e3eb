"""The page: a person without a terminal gives a video and labels, and sees scores, frames and a timeline."""
