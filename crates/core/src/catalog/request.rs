//! Requests that break a rule or a limit: IG-01nn.

use super::{Explanation, cluster, invalid};
use crate::error::{ErrorCode, NextStep};

pub(super) const EXPLANATIONS: &[Explanation] = &[
    invalid(
        ErrorCode::KeyTooLong,
        "key too long",
        "Keys are kept in memory on every replica and hashed for every operation, so their length is limited.",
        "shorten the key or raise limits.key_bytes_max",
    ),
    invalid(
        ErrorCode::ValueTooLarge,
        "value too large",
        "A value travels in one frame and is copied under its partition's lock, so its size is limited.",
        "split the value or raise limits.value_bytes_max",
    ),
    invalid(
        ErrorCode::BatchTooLarge,
        "batch too large",
        "A frame may carry a limited number of operations, so that no caller keeps a core to itself.",
        "send several smaller batches or raise limits.batch_ops_max",
    ),
    invalid(
        ErrorCode::FrameTooLarge,
        "frame too large",
        "The node reads a frame whole, so its size is limited.",
        "send several smaller frames or raise limits.frame_bytes_max",
    ),
    invalid(
        ErrorCode::FrameMalformed,
        "frame malformed",
        "The bytes do not follow the layout in docs/wire.md. The node closes the session, because it cannot tell where \
         the next operation begins.",
        "check the client library and its version",
    ),
    invalid(
        ErrorCode::MapNameInvalid,
        "map name invalid",
        "Map names become labels of metrics and parts of paths: 1 to 128 of the characters a-z, A-Z, 0-9, '.', '_', \
         '-' and ':'.",
        "rename the map",
    ),
    invalid(
        ErrorCode::TooManyMaps,
        "too many maps",
        "Each map costs a little memory in every partition. Many small maps are better one map with a key prefix.",
        "use fewer maps or raise limits.maps_max",
    ),
    invalid(
        ErrorCode::NotANumber,
        "value is not a number",
        "An increment found a value that is not a number in the format of the caller's codec.",
        "check which codec wrote the value",
    ),
    invalid(
        ErrorCode::NumberOverflow,
        "number out of range",
        "The result of the increment would not fit 64 bits or would not be finite.",
        "use a smaller step or reset the value",
    ),
    invalid(
        ErrorCode::PatternInvalid,
        "pattern invalid",
        "A scan's glob is longer than a key may be or ends inside a bracket or an escape.",
        "mend the pattern",
    ),
    invalid(
        ErrorCode::PartitionInvalid,
        "no such partition",
        "The partition number is not below the cluster's number of partitions.",
        "ask the node for its number of partitions (isogrid status)",
    ),
    invalid(
        ErrorCode::ProtocolUnknown,
        "protocol version unknown",
        "The client speaks a version of the frame, or an operation, that this node does not know.",
        "upgrade the node, or use an older client",
    ),
    invalid(
        ErrorCode::RequestIncomplete,
        "request incomplete",
        "A typed request lacks its operation or names something that does not exist.",
        "fill in what the message names",
    ),
    invalid(
        ErrorCode::KeysApart,
        "keys in different partitions",
        "A rename is one change of one partition, so that nobody ever sees both keys or neither. These two keys lie in \
         different partitions, which have different logs and often different owners.",
        "give both keys the same tag in braces, as in {user:7}:draft and {user:7}:final, or copy the value and delete \
         the old key yourself",
    ),
    invalid(
        ErrorCode::QueryInvalid,
        "statement invalid",
        "A statement of SQL cannot be read, names a table or a column that is not there, or asks for what SQL does not do here.",
        "mend the statement (SHOW TABLES and SHOW COLUMNS FROM a map say what is there)",
    ),
    invalid(
        ErrorCode::QueryTooLarge,
        "statement needs too much memory",
        "Sorting, grouping and joining happen in memory, of which a statement may have a limited amount, so that it cannot \
         take that of others. This statement failed alone.",
        "ask for fewer rows or groups, or raise limits.sql_memory_bytes_max",
    ),
    invalid(
        ErrorCode::QueryTooLong,
        "statement takes too long",
        "A statement may take a limited time, so that one that nobody waits for any more does not go on for ever.",
        "name the key or the partition, so that fewer records are looked at, or raise limits.sql_time_ms_max",
    ),
    invalid(
        ErrorCode::QueryFailed,
        "statement failed",
        "The statement met a value that it cannot work with: one that does not fit its column, cannot be cast, or divides by zero.",
        "look at the record that the message names, or leave it out with WHERE",
    ),
    invalid(
        ErrorCode::ValueMisfit,
        "value does not fit the map's columns",
        "The map was made with columns: its values are objects of JSON or MessagePack whose fields hold what the columns say, and the partition \
         key of each key, which is what stands in its braces, is the value of the column that the map is partitioned by.",
        "mend what the message names, or look at the columns with SHOW CREATE MAP",
    ),
    invalid(
        ErrorCode::UniqueViolated,
        "unique index violated",
        "The map has a unique index, and another record with the same partition key, which is what stands in the braces of its key, has the same \
         in all columns of the index.",
        "write something else, or change the other record first",
    ),
    invalid(
        ErrorCode::FilterInvalid,
        "filter invalid",
        "The filter of a scan, an aggregate or a watch cannot be read, or it is larger than filters may be: 32 levels, 1,000 comparisons, \
         constants and connectives, 64 KiB.",
        "mend or shorten the filter",
    ),
    invalid(
        ErrorCode::TooManyMatches,
        "too many records match",
        "Who watches what matches a filter keeps the keys of all that does, and whoever groups keeps all groups. There are more than \
         were allowed for.",
        "narrow the filter, ask for the best few only, or allow more",
    ),
    invalid(
        ErrorCode::QueryTooManyRows,
        "answer has too many rows",
        "The operator limits how many rows an answer may have, so that nobody takes whole maps by mistake. Those that came are right, and \
         there are more.",
        "add a LIMIT or a narrower WHERE, or raise limits.sql_rows_max",
    ),
    invalid(
        ErrorCode::QueryTooManyScanned,
        "statement walks over too many entries",
        "The operator limits over how many entries one statement walks at a node, so that it leaves time to others.",
        "name the key or the partition, so that fewer entries are looked at, or raise limits.sql_scanned_entries_max",
    ),
    invalid(
        ErrorCode::QueryNotPruned,
        "statement walks over all of a map",
        "The map or the session wants statements to say which partitions they need (require_pruned), and nothing in this one does.",
        "compare what the message names with values, or say require_pruned = off for this session or this map",
    ),
    invalid(
        ErrorCode::HttpRequestInvalid,
        "request over HTTP cannot be read",
        "Its method, a header, a parameter or its body is not what the address takes.",
        "mend what the message names: /v1/openapi.json has all addresses with what they take",
    ),
    invalid(
        ErrorCode::NothingThere,
        "nothing is there",
        "No such address is served, or the record or the client that it names is not there.",
        "check the address: /v1/openapi.json has all of them",
    ),
    invalid(
        ErrorCode::ConditionFailed,
        "record is not as expected",
        "The request said with If-Match or If-None-Match which version of the record it expects, or that there is none. Nothing was written.",
        "read the record again, and decide by what it is now",
    ),
    invalid(
        ErrorCode::KeyPresent,
        "key is there already",
        "INSERT makes records and replaces none, so a row whose key is there is not written.",
        "use UPSERT to replace, or ON CONFLICT DO NOTHING to pass over what is there",
    ),
    cluster(
        ErrorCode::RecordChanged,
        NextStep::RetryLater,
        "record keeps changing",
        "UPDATE and DELETE write a record only if it is the one that they read. Others changed this one in between, each time \
         that it was read again.",
        "run the statement again when fewer write the same record",
    ),
];
