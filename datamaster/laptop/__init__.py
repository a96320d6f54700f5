"""The local platform: an emulator of AWS, and a worker for each service that it lacks."""
