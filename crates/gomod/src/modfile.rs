//! go.mod files with positions.
