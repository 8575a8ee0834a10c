//! What is remembered: rows and queries. The only SQL.
