//! The words on the wire: requests, replies, ids, errors and the client.
