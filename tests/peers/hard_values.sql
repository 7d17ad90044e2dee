-- Values that exporters are known to change, one row each beside a plain one: what a peer's file holds of them is compared by
-- compare.py, column by column. The first column is there for those who must split a table.
CREATE TABLE hard_values (id bigint PRIMARY KEY, amount numeric, at timestamptz, day date, document jsonb, matrix integer[], took interval);
INSERT INTO hard_values VALUES
    (1, 1.5, '2026-11-21 03:15:00.123456+00', '2026-11-21', '{"a": 1}', '{1,2}', '1 hour'),
    (2, 'NaN', 'infinity', 'infinity', '{"a": 1.10}', '{{1,2},{3,4}}', '1 mon 2 days 00:00:03.500001'),
    (3, 12345678901234567890.12345678901234567890, '-infinity', '0044-03-15 BC', '{"a": 12345678901234567890.123}', '[0:1]={5,6}', '-1 days +01:00:00');
CREATE VIEW hard_amount AS SELECT id, amount AS value FROM hard_values;
CREATE VIEW hard_at AS SELECT id, at AS value FROM hard_values;
CREATE VIEW hard_day AS SELECT id, day AS value FROM hard_values;
CREATE VIEW hard_document AS SELECT id, document AS value FROM hard_values;
CREATE VIEW hard_matrix AS SELECT id, matrix AS value FROM hard_values;
CREATE VIEW hard_took AS SELECT id, took AS value FROM hard_values;
