-- Parts of nodes: whole GPUs, MIG instances and shared GPUs of a node that is cut, each a row of its own named host/label.
-- The row of the node itself stays, with no GPUs: agents, pools, labels and what is set aside are of the node.

alter table node add column resource text not null default 'nvidia.com/gpu';  -- what Kubernetes counts its GPUs by
alter table node add column slicing text not null default 'none'              -- what one of its GPUs is
    check (slicing in ('none', 'mig', 'shared'));
alter table node add column host text not null generated always as (split_part(name, '/', 1)) stored;
create index node_part on node (cluster, host) where name like '%/%';

alter table lease add column resource text not null default 'nvidia.com/gpu'; -- of all its GPUs: its tokens and its pods say it
