-- Whose an instance is: fixed when it is started, and the same for all that it starts. The empty
-- tenant is of those who know of none.

ALTER TABLE instances ADD COLUMN tenant TEXT NOT NULL DEFAULT ''
    CHECK (tenant NOT GLOB '*[^a-z0-9_-]*' AND length(tenant) <= 60);

-- What was started with a tag of this name that can be a tenant belongs to it from now on, with all
-- of its children. The inbox's rows follow by the code, in the transaction of this script
-- (`Inbox.take_tenants`).
CREATE INDEX instances_by_parent ON instances (parent) WHERE parent IS NOT NULL;

WITH RECURSIVE
started (key, tenant) AS MATERIALIZED (
    SELECT key, CASE WHEN json_valid(tags) AND json_type(tags, '$.tenant') = 'text'
                     THEN tags ->> '$.tenant' ELSE '' END
    FROM instances WHERE parent IS NULL AND tags <> '{}'
),
family (key, tenant) AS (
    SELECT key, tenant FROM started
    WHERE tenant <> '' AND tenant NOT GLOB '*[^a-z0-9_-]*' AND length(tenant) <= 60
    UNION ALL
    SELECT child.key, family.tenant
    FROM family CROSS JOIN instances AS child ON child.parent = family.key
)
UPDATE instances SET tenant = family.tenant FROM family WHERE family.key = instances.key;

DROP INDEX instances_by_parent;

-- A tenant's list is as long as the tenant, however many others there are.
CREATE INDEX instances_by_tenant ON instances (tenant, key);
CREATE INDEX instances_by_tenant_and_status ON instances (tenant, status, key);
