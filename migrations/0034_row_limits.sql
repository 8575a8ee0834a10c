-- Rows are counted, and the oldest are removed, whenever another one is added.
create index sources_account on sources (account_id);
create index log_sessions_account on log_sessions (app_id, account_id);
create index app_transfers_app on app_transfers (app_id);
create index oauth_codes_account on oauth_codes (account_id);
create index sign_in_links_account on sign_in_links (account_id);
-- Removed service accounts are deleted unless one of these names them.
create index releases_account on releases (account_id);
create index builds_account on builds (account_id);
