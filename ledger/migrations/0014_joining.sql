-- Personal workspaces stand on every cluster, also on those that are registered after them.
alter table workspace_namespace add column joining boolean not null default false;   -- wanted there, and not there yet
create index namespaces_joining on workspace_namespace (cluster) where joining;
