//! Long answers are decoded by more than one thread.

use crate::ask::ask;
use crate::memory::{Channel, Memory};
use std::sync::atomic::Ordering;

#[test]
fn a_long_answer_is_loaded_by_a_lent_thread_too() {
    let memory = Memory::of([("X", Channel { generated: Some(4_000_000), ..Channel::default() })]);
    let (loads, loads_ahead) = (memory.loads.clone(), memory.loads_ahead.clone());
    let state = memory.state();
    // A busy machine may not come to run the thread.
    for _ in 0..20 {
        let answer = ask(&state, "/api/v1/samples", "channel=X&from_ns=0&to_ns=4000000&format=columns");
        assert!(answer.bytes.len() > 16 * 4_000_000);
        if loads_ahead.load(Ordering::SeqCst) > 0 {
            break;
        }
    }
    let (loads, loads_ahead) = (loads.load(Ordering::SeqCst), loads_ahead.load(Ordering::SeqCst));
    assert!(loads_ahead > 0 && loads_ahead < loads, "{loads_ahead} of {loads}");
}
