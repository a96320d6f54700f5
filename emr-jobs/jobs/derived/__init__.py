"""Tables computed from silver: review_flat and gold, rebuilt by whole months."""
