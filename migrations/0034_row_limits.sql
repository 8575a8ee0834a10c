-- The oldest transfers of an app are removed whenever another one is added.
create index app_transfers_app on app_transfers (app_id);
