mod go_env;
mod settings;

fn main() {}
