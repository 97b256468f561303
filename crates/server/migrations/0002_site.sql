-- For whom the invitation was by which a client joined: known also when the invitation is taken back.
ALTER TABLE secrets ADD COLUMN site TEXT NOT NULL DEFAULT '';
