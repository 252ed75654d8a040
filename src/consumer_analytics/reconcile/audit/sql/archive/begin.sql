-- What a step before in the same session has laid down of the archive: each row has to be there once.
delete from audit_filed_days;
delete from audit_filed_ids;
delete from audit_strays
