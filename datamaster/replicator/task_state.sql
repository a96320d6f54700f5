-- What a task must remember lies in the source, as DMS's own control tables do.
CREATE SCHEMA IF NOT EXISTS awsdms;

CREATE TABLE IF NOT EXISTS awsdms.task (
    slot              text PRIMARY KEY,
    publication       text NOT NULL,
    phase             text NOT NULL CHECK (phase IN ('loading', 'changes')),
    counted_lsn       bigint NOT NULL DEFAULT 0,
    transaction_id    bigint,
    transaction_count bigint
);

CREATE TABLE IF NOT EXISTS awsdms.table_statistics (
    slot           text NOT NULL,
    schema_name    text NOT NULL,
    table_name     text NOT NULL,
    inserts        bigint NOT NULL DEFAULT 0,
    updates        bigint NOT NULL DEFAULT 0,
    deletes        bigint NOT NULL DEFAULT 0,
    ddls           bigint NOT NULL DEFAULT 0,
    load_rows      bigint NOT NULL DEFAULT 0,
    table_state    text NOT NULL DEFAULT 'Before load',
    load_started   timestamptz,
    load_ended     timestamptz,
    updated_at     timestamptz,
    signature      json,
    PRIMARY KEY (slot, schema_name, table_name)
);

CREATE TABLE IF NOT EXISTS awsdms.task_command (
    command_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot        text NOT NULL,
    command     text NOT NULL CHECK (command IN ('reload')),
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz,
    error       text
);

CREATE TABLE IF NOT EXISTS awsdms.apply_exceptions (
    slot        text NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    row_key     text NOT NULL,
    error       text NOT NULL,
    error_time  timestamptz NOT NULL DEFAULT now()
);

-- What happened to a table outside the log, and what cures it: a load that starts by itself, or a statement of a person.
CREATE TABLE IF NOT EXISTS awsdms.table_events (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot        text NOT NULL,
    schema_name text NOT NULL,
    table_name  text NOT NULL,
    event       text NOT NULL,
    detail      text NOT NULL,
    cure        text NOT NULL,
    event_time  timestamptz NOT NULL DEFAULT now()
);

-- Columns that a task of an earlier release did not know.
ALTER TABLE awsdms.apply_exceptions ADD COLUMN IF NOT EXISTS column_name text;
ALTER TABLE awsdms.apply_exceptions ADD COLUMN IF NOT EXISTS row_sent boolean NOT NULL DEFAULT false;
ALTER TABLE awsdms.table_statistics ADD COLUMN IF NOT EXISTS load_error_rows bigint NOT NULL DEFAULT 0;
ALTER TABLE awsdms.table_statistics ADD COLUMN IF NOT EXISTS identity json;
