-- Whether this login is a superuser, and whether the server is on this machine.
select
    rolsuper,
    inet_server_addr() is null
    or inet_server_addr() = inet_client_addr()
    or inet_server_addr() <<= '127.0.0.0/8'
    or host(inet_server_addr()) = '::1'
from pg_roles
where rolname = current_user
