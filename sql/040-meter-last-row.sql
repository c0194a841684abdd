-- The collector asks for a resource's newest row without knowing who owned it then.
create index usage_window_resource on usage_window (resource_id, window_from desc);
