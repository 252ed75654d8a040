-- Where the server has the setting: 15.8, 16.4 and 17 on.
select set_config(name, 'view, foreign-table', false)
from pg_settings
where name = 'restrict_nonsystem_relation_kind'
