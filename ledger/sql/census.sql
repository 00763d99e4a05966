-- name: live
-- how many there are of what waits or holds GPUs, as people are told of it: a job is being prepared until its pods run
select count(*) filter (where phase = 'queued') as queued,
       count(*) filter (where phase = 'provisioning' or (phase = 'active' and state in ('', 'pending'))) as preparing,
       count(*) filter (where phase = 'active' and coalesce(state, 'running') not in ('', 'pending')) as active
from (select phase, (select j.state from job j where j.gpr_id = g.id) as state from gpr g
      where phase = 'queued' or phase in ('provisioning', 'active', 'releasing')) live;
