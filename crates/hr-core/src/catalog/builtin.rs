//! The catalogue that is compiled in: `catalog/*.toml`, listed by `build.rs`.
