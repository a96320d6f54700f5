"""Tables computed from silver by SQL files among the contracts, as review_flat and gold: rebuilt by whole months."""
