-- Both indexes cost every request something, and no query needs them: a hold is renewed by its own id, and a cost is
-- deleted with the usage row of its request.
DROP INDEX holds_by_worker;
DROP INDEX costs_by_time;

-- Costs whose usage rows were deleted before: usage and costs used to be deleted one after the other.
DELETE FROM costs WHERE NOT EXISTS (SELECT 1 FROM usage WHERE usage.id = costs.request);
