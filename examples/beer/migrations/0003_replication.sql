-- What DMS needs of a source whose replication user is not its administrator.
-- https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Source.PostgreSQL.html#CHAP_Source.PostgreSQL.RDSPostgreSQL.NonMasterUser
CREATE SCHEMA IF NOT EXISTS awsdms;

-- Every change of a table's definition, where the log carries it to DMS; rows leave as soon as they are written.
CREATE TABLE IF NOT EXISTS awsdms.awsdms_ddl_audit (
    c_key    bigserial PRIMARY KEY,
    c_time   timestamp,
    c_user   varchar(64),
    c_txn    varchar(16),
    c_tag    varchar(24),
    c_oid    integer,
    c_name   varchar(64),
    c_schema varchar(64),
    c_ddlqry text
);

CREATE OR REPLACE FUNCTION awsdms.awsdms_intercept_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF tg_tag IN ('CREATE TABLE', 'ALTER TABLE', 'DROP TABLE') THEN
        INSERT INTO awsdms.awsdms_ddl_audit
        VALUES (default, current_timestamp, current_user, CAST(txid_current() AS varchar(16)), tg_tag, 0, '', current_schema, current_query());
        DELETE FROM awsdms.awsdms_ddl_audit;
    END IF;
END;
$$;

DROP EVENT TRIGGER IF EXISTS awsdms_intercept_ddl;

CREATE EVENT TRIGGER awsdms_intercept_ddl ON ddl_command_end EXECUTE PROCEDURE awsdms.awsdms_intercept_ddl();

-- The user reads the tables, now and later, and keeps its heartbeat in DMS's own schema.
GRANT USAGE, CREATE ON SCHEMA awsdms TO dm_replication;

GRANT SELECT ON ALL TABLES IN SCHEMA awsdms TO dm_replication;

GRANT USAGE ON SCHEMA dm_core TO dm_replication;

GRANT SELECT ON ALL TABLES IN SCHEMA dm_core TO dm_replication;

ALTER DEFAULT PRIVILEGES IN SCHEMA dm_core GRANT SELECT ON TABLES TO dm_replication;
