//! Nothing of its own: the package exists for the tests in `guarantees`, which know both programs.
