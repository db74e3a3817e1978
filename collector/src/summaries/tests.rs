//! Pieces, images, files and merges, each against what is written down or counted by hand.
