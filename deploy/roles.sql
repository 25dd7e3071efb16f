-- Create the database and three roles, each with the privileges of one task. Run it as a superuser:
--
--   CONDUCTOR_OWNER_PASSWORD=… CONDUCTOR_WRITER_PASSWORD=… CONDUCTOR_READER_PASSWORD=… \
--   psql -f deploy/roles.sql postgresql://postgres@HOST/postgres
--
-- Run it again to change passwords. Needs psql 14 or newer.

\set ON_ERROR_STOP on
\getenv owner_password CONDUCTOR_OWNER_PASSWORD
\getenv writer_password CONDUCTOR_WRITER_PASSWORD
\getenv reader_password CONDUCTOR_READER_PASSWORD

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['conductor_owner', 'conductor_writer', 'conductor_reader']) AS role
WHERE to_regrole(role) IS NULL \gexec

ALTER ROLE conductor_owner LOGIN PASSWORD :'owner_password';   -- migrate, backup, retention
ALTER ROLE conductor_writer LOGIN PASSWORD :'writer_password'; -- collect, replay
ALTER ROLE conductor_reader LOGIN PASSWORD :'reader_password'; -- dashboard
ALTER ROLE conductor_reader SET default_transaction_read_only = on; -- but for feedback and titles

SELECT 'CREATE DATABASE conductor OWNER conductor_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'conductor') \gexec

\connect conductor
REVOKE ALL ON DATABASE conductor FROM PUBLIC;
GRANT CONNECT ON DATABASE conductor TO conductor_writer, conductor_reader;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO conductor_writer, conductor_reader;

-- These hold for every table, including those of later migrations. (The writer can therefore insert
-- into schema_migrations; `migrate` refuses a record that it does not know. It also grants what
-- follows below.)
ALTER DEFAULT PRIVILEGES FOR ROLE conductor_owner IN SCHEMA public
    GRANT SELECT, INSERT ON TABLES TO conductor_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE conductor_owner IN SCHEMA public
    GRANT SELECT ON TABLES TO conductor_reader;

-- The end of an anomaly and feedback on it are added to its metadata, and each change of an
-- intervention to its row; `migrate` grants this, too.
SELECT 'GRANT UPDATE (metadata) ON anomalies TO conductor_writer, conductor_reader'
WHERE to_regclass('anomalies') IS NOT NULL \gexec
SELECT 'GRANT UPDATE (status, outcome, metadata) ON interventions TO conductor_writer'
WHERE to_regclass('interventions') IS NOT NULL \gexec

-- The collector ends sessions and stores their figures; titles are set by events and by people.
SELECT 'GRANT UPDATE ON sessions, session_titles, event_titles TO conductor_writer'
WHERE to_regclass('sessions') IS NOT NULL \gexec
SELECT 'GRANT INSERT, UPDATE ON session_titles, event_titles TO conductor_reader'
WHERE to_regclass('session_titles') IS NOT NULL \gexec

-- The collector sends to webhooks what is in this table, and deletes what was sent.
SELECT 'GRANT UPDATE, DELETE ON webhook_deliveries TO conductor_writer'
WHERE to_regclass('webhook_deliveries') IS NOT NULL \gexec
