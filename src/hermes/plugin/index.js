// gateway-reaper has no page; the dashboard loads one script per plugin, and this is it.
