-- Today's customers in a table of their own: PostgreSQL reads nothing in parallel
-- for a statement that writes tables which are not its own, as the extract is.
create temporary table present_customers on commit drop as
{present}
