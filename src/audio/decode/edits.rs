//! An MP4's bytes in, the delay that its edit list cuts off a track's start out; symphonia leaves edit lists alone.
//!
//! AAC encoders put one to two frames of silence first, at 8 kHz some 130 ms, and every muxer tells players to skip them by
//! an edit (ISO/IEC 14496-12, 8.6.6). Without it all times would be late by as much.

use super::boxes;

/// Ticks of the track's own clock to skip, 0 where the file tells none.
pub(super) fn delay(file: &[u8], track_id: u32) -> u64 {
    boxes::track(file, track_id).and_then(first_edit).unwrap_or(0)
}

/// Where in the media the first edit begins, if that is not a pause put before it.
fn first_edit(trak: &[u8]) -> Option<u64> {
    let elst = boxes::child(boxes::child(trak, b"edts")?, b"elst")?;
    // Version, flags, the count, then duration and time of each edit.
    let time = match elst.first()? {
        0 => i64::from(i32::from_be_bytes(*elst.get(12..)?.first_chunk()?)),
        _ => i64::from_be_bytes(*elst.get(16..)?.first_chunk()?),
    };
    u64::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes(), kind.as_slice(), body].concat()
    }

    fn film(media_time: i32) -> Vec<u8> {
        let track = |id: u32, elst: &[u8]| {
            let tkhd = boxed(b"tkhd", &[&[0; 12], id.to_be_bytes().as_slice(), &[0; 60]].concat());
            boxed(b"trak", &[tkhd, boxed(b"edts", &boxed(b"elst", elst))].concat())
        };
        let elst = |time: i32| {
            [&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9][..], &time.to_be_bytes(), &[0, 1, 0, 0]].concat()
        };
        let moov = [boxed(b"mvhd", &[0; 100]), track(1, &elst(77)), track(2, &elst(media_time))].concat();
        [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[1; 50]), boxed(b"moov", &moov)].concat()
    }

    #[test]
    fn the_edit_of_the_right_track_is_found() {
        assert_eq!((delay(&film(1024), 2), delay(&film(1024), 1), delay(&film(1024), 3)), (1024, 77, 0));
        assert_eq!(delay(&film(-1), 2), 0, "a pause before the sound cuts nothing off");
    }

    #[test]
    fn a_file_cut_anywhere_tells_no_delay_or_the_right_one() {
        let whole = film(2112);
        for end in 0..whole.len() {
            assert!([0, 2112].contains(&delay(&whole[..end], 2)), "cut at {end}");
        }
    }
}
