-- Rows are counted, and the oldest are removed, whenever another one is added.
create index sources_account on sources (account_id);
create index app_transfers_app on app_transfers (app_id);
