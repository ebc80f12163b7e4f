mod corpus;
mod mutations;
mod traps;
mod wordings;
