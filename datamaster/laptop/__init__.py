"""What stands in for AWS on a laptop: an emulator, and a worker for each service that it lacks."""
