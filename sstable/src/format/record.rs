//! Tags of record payloads and dictionary rows.

use super::tags;

/// Bit of a field tag that makes a reader which does not know the field refuse the record.
pub(crate) const FIELD_REQUIRED: u8 = 0x80;
/// Largest sample that a carry-in record holds itself, as raw value bytes; a larger one is named.
pub const CARRIED_VALUE_BYTES_MAX: usize = 4 << 10;
/// Longest record payload.
pub(crate) const RECORD_BYTES_MAX: usize = 64 << 20;
/// Most rows of a dictionary block.
pub(crate) const DICTIONARY_ROWS_MAX: usize = 1024;
/// Most aliases, and most types, of all rows of a dictionary block.
pub(crate) const DICTIONARY_REPEATED_MAX: usize = 1 << 16;

tags! {
    /// What happened.
    EventTag {
        /// Connected.
        Connected = 1,
        /// Disconnected.
        Disconnected = 2,
        /// Archiving started.
        Started = 3,
        /// Archiving stopped.
        Stopped = 4,
        /// Archiving paused.
        Paused = 5,
        /// Archiving resumed.
        Resumed = 6,
        /// Channel retired.
        Retired = 7,
        /// Engine down.
        EngineDown = 8,
        /// Samples dropped.
        Dropped = 9,
        /// Stamp replaced.
        TimeReplaced = 10,
    }
}

tags! {
    /// Fields of an event.
    EventField {
        /// Server.
        Host = 1,
        /// Last message.
        LastHeard = 2,
        /// End of a down time.
        Until = 3,
        /// End of a span of dropped samples.
        To = 4,
        /// Dropped samples.
        Count = 5,
        /// Cause of a drop.
        Cause = 6,
        /// Last dropped sample.
        Last = 7,
        /// Stamp that was replaced.
        Original = 8,
    }
}

tags! {
    /// Fields of metadata.
    MetadataField {
        /// Units.
        Units = 1,
        /// Precision.
        Precision = 2,
        /// Lower display limit.
        DisplayLow = 3,
        /// Upper display limit.
        DisplayHigh = 4,
        /// Lower alarm limit.
        AlarmLow = 5,
        /// Upper alarm limit.
        AlarmHigh = 6,
        /// Lower warning limit.
        WarningLow = 7,
        /// Upper warning limit.
        WarningHigh = 8,
        /// Lower control limit.
        ControlLow = 9,
        /// Upper control limit.
        ControlHigh = 10,
        /// Enum states.
        States = 11,
        /// Description.
        Description = 12,
        /// Server.
        Host = 13,
        /// Archive settings.
        Settings = 14,
    }
}

tags! {
    /// What a channel record changes.
    ChannelTag {
        /// The name.
        Named = 1,
        /// A further name.
        Alias = 2,
        /// The retention class.
        Retention = 3,
        /// The settings.
        Settings = 4,
    }
}

tags! {
    /// Fields of a carry-in record.
    CarryInField {
        /// The sample as a chunk.
        Sample = 1,
        /// Where the sample stands.
        Place = 2,
        /// The sample was never stored elsewhere.
        Original = 3,
        /// Connection.
        Connection = 4,
        /// Archiving.
        Archiving = 5,
        /// Metadata.
        Metadata = 6,
        /// Channel records.
        Names = 7,
        /// Sequence.
        LastSequence = 8,
        /// Events and metadata of the channel in this table.
        Timeline = 9,
    }
}

tags! {
    /// Columns of a dictionary block.
    DictionaryField {
        /// Name.
        Name = 1,
        /// Aliases.
        Alias = 2,
        /// Newest reading.
        Newest = 3,
        /// Next late rank.
        NextLateRank = 4,
        /// Span of the samples.
        Span = 5,
        /// Number of samples.
        Samples = 6,
        /// Stored bytes.
        Bytes = 7,
        /// Type of some samples.
        Type = 8,
        /// Metadata.
        Metadata = 9,
        /// Archiving state.
        Archiving = 10,
        /// First sample.
        FirstSample = 11,
        /// Newest table that was merged.
        AsOf = 12,
        /// The channel.
        Channel = 13,
    }
}

tags! {
    /// Whether a channel is archived.
    ArchivingTag {
        /// It is.
        Started = 1,
        /// Paused by an operator.
        Paused = 2,
        /// Ended with the engine running.
        Stopped = 3,
        /// No longer configured.
        Retired = 4,
    }
}

tags! {
    /// Fields of a lineage.
    LineageField {
        /// Highest sequence of the log.
        Through = 1,
        /// Next channel.
        NextChannel = 2,
        /// Next number of the order of receipt.
        NextSequence = 3,
        /// Bytes of values.
        ValueBytes = 4,
        /// Lowest and highest number of an event.
        Sequences = 5,
        /// Tables made together.
        Group = 6,
        /// Tables merged into this one.
        Parts = 7,
        /// Tables that decimated rows were made of.
        Sources = 8,
    }
}

/// Most decimated rows of a record.
pub const BIN_ROWS_MAX: usize = 1024;
/// Most columns of a record of decimated rows.
pub(crate) const BIN_COLUMNS_MAX: usize = 64;

tags! {
    /// Columns of decimated rows.
    pub BinField {
        /// Number of the bin behind the record's.
        Number = 1,
        /// Samples.
        Count = 2,
        /// Samples without a finite number.
        Unfinite = 3,
        /// Numbers that are not finite.
        NonFinite = 4,
        /// Samples of severity INVALID.
        Invalid = 5,
        /// Worst severity.
        Worst = 6,
        /// What first and last value are.
        Flags = 7,
        /// Time of the first sample.
        FirstTime = 8,
        /// Time of the last sample.
        LastTime = 9,
        /// Time of the least number.
        MinTime = 10,
        /// Time of the greatest number.
        MaxTime = 11,
        /// First value.
        First = 12,
        /// Last value.
        Last = 13,
        /// Least number.
        Min = 14,
        /// Greatest number.
        Max = 15,
        /// Mean.
        Mean = 16,
        /// Sum of squared deviations.
        SquaredDeviations = 17,
        /// Time integral.
        Integral = 18,
        /// Time without a finite number.
        UnfiniteTime = 19,
    }
}
