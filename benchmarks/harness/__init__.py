"""What every page of results shares: runs and their results, the queue, statistics, and writing the page."""
