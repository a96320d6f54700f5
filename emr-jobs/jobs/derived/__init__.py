"""Tables that the contracts' SQL files compute from silver, such as review_flat and gold. Whole months are rebuilt."""
