-- Why a release failed, and who cancelled its release phase. The server before this one neither writes nor reads it.
alter table releases add error text;
