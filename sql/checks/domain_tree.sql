-- A domain's path is its parent's path and its own name; there is one ROOT.
-- A row means: limits of a domain count accounts that are not below it, or leave some out.
-- To do: rename the domain to its own name (jeoul domain rename), then ask again; report this as a defect.
select d.id, d.name, d.path, p.path as parent_path
from domain d left join domain p on p.id = d.parent_id
where d.path is distinct from case when p.id is null then 'ROOT' else p.path || '/' || d.name end
