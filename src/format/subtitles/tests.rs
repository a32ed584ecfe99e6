//! Subtitles held to examples read by eye, and to their rules for any transcript.

use proptest::prelude::*;

use super::breaks::width;
use super::{Cue, Speakers, SubtitleRules, cues};
use crate::format::samples::{any_transcript, segment, spoken, transcript, word};
use crate::format::{Format, Layout, millis, render};
use crate::transcript::{Segment, Transcript};

fn asked(format: Format, fields: &[(&str, &str)]) -> Layout {
    let mut layout = Layout::new(format);
    for (name, value) in fields {
        assert_eq!(layout.take(name, value), Ok(true));
    }
    layout
}

fn written(transcript: &Transcript, format: Format, fields: &[(&str, &str)]) -> String {
    render(transcript, &asked(format, fields)).body
}

fn long() -> Segment {
    spoken(
        1_000,
        "We need eggs, fish and sugar for the cake that my mother wants to bake tomorrow. Dr. Ruiz will call \
         because the kitchen is too small, but nobody knows when.",
    )
}

#[test]
fn tidy_subtitles_break_where_a_reader_would() {
    let long = transcript(vec![long()]);
    insta::assert_snapshot!(written(&long, Format::Srt, &[("subtitles", "tidy")]), @r#"
    1
    00:00:01,000 --> 00:00:06,100
    We need eggs, fish and sugar for the cake
    that my mother wants to bake tomorrow.

    2
    00:00:06,180 --> 00:00:10,940
    Dr. Ruiz will call because the kitchen
    is too small, but nobody knows when.
    "#);
}

#[test]
fn without_rules_a_segment_is_a_cue_whatever_is_known_of_its_words() {
    let mut late = long();
    late.start -= std::time::Duration::from_millis(500);
    let srt = written(&transcript(vec![late]), Format::Srt, &[]);
    assert!(srt.starts_with("1\n00:00:00,500 --> "), "{srt}");
    assert_eq!(srt.lines().count(), 4);
}

#[test]
fn a_width_alone_breaks_lines_and_leaves_cues() {
    let srt =
        written(&transcript(vec![long(), spoken(12_000, "Yes.")]), Format::Srt, &[("max_line_width", "42")]);
    assert_eq!(srt.matches(" --> ").count(), 2, "{srt}");
    assert!(srt.lines().all(|line| line.len() <= 42), "{srt}");
}

#[test]
fn words_per_line_makes_cues_of_so_many_words() {
    let text = transcript(vec![spoken(0, "one two three four five six seven")]);
    let tsv = written(&text, Format::Tsv, &[("max_words_per_line", "3")]);
    let words: Vec<usize> = tsv.lines().skip(1).map(|row| row.split(' ').count()).collect();
    assert_eq!(words.iter().sum::<usize>(), 7);
    assert!(words.len() == 3 && words.iter().all(|count| *count <= 3), "{tsv}");
}

#[test]
fn short_cues_stay_until_they_are_read_but_never_into_the_next() {
    let said = vec![spoken(0, "Yes."), spoken(5_000, "No."), spoken(5_400, "Well.")];
    let mut said = transcript(said);
    said.duration = std::time::Duration::from_secs(6);
    let rules = [("min_cue_seconds", "2")];
    insta::assert_snapshot!(written(&said, Format::Tsv, &rules), @r#"
    start	end	text
    0	2000	Yes.
    5000	5400	No.
    5400	6000	Well.
    "#);
}

#[test]
fn scripts_without_spaces_break_between_characters_but_not_before_their_punctuation() {
    let chinese =
        transcript(vec![segment(0, 6_000, "我们需要鸡蛋、鱼和糖来做蛋糕，因为明天是我妈妈的生日。")]);
    let rules = [("max_line_width", "20"), ("max_line_count", "2")];
    insta::assert_snapshot!(written(&chinese, Format::Srt, &rules), @r#"
    1
    00:00:00,000 --> 00:00:03,333
    我们需要鸡蛋、
    鱼和糖来做蛋糕，

    2
    00:00:03,333 --> 00:00:06,000
    因为明天是我
    妈妈的生日。
    "#);
}

#[test]
fn karaoke_stamps_lie_inside_their_cue_and_ascend() {
    let mut said = spoken(1_000, "We <need> eggs");
    said.words[1].start = said.words[0].start;
    let vtt = written(&transcript(vec![said]), Format::Vtt, &[("highlight_words", "true")]);
    insta::assert_snapshot!(vtt, @r#"
    WEBVTT

    00:00:01.000 --> 00:00:01.880
    <c>We</c> <c>&lt;need&gt;</c> <00:00:01.640><c>eggs</c>
    "#);
}

#[test]
fn srt_underlines_one_word_after_the_other() {
    let said = transcript(vec![spoken(1_000, "We need")]);
    insta::assert_snapshot!(written(&said, Format::Srt, &[("highlight_words", "1")]), @r#"
    1
    00:00:01,000 --> 00:00:01,180
    <u>We</u> need

    2
    00:00:01,180 --> 00:00:01,200
    We need

    3
    00:00:01,200 --> 00:00:01,440
    We <u>need</u>
    "#);
}

#[test]
fn words_that_are_not_known_are_not_highlighted() {
    let said = transcript(vec![segment(0, 2_000, " We need")]);
    let vtt = written(&said, Format::Vtt, &[("highlight_words", "true"), ("subtitles", "tidy")]);
    assert!(vtt.contains("\nWe need\n"), "{vtt}");
}

#[test]
fn speakers_are_named_by_channel() {
    let at = |channel, segment: Segment| Segment { channel: Some(channel), ..segment };
    let call = transcript(vec![at(0, spoken(0, "Hello?")), at(1, spoken(300, "Good morning & welcome."))]);
    insta::assert_snapshot!(written(&call, Format::Vtt, &[]), @r#"
    WEBVTT

    00:00:00.000 --> 00:00:00.360
    <v Speaker A>Hello?

    00:00:00.300 --> 00:00:01.740
    <v Speaker B>Good morning &amp; welcome.
    "#);
    insta::assert_snapshot!(written(&call, Format::Srt, &[]), @r#"
    1
    00:00:00,000 --> 00:00:00,360
    [A]: Hello?

    2
    00:00:00,300 --> 00:00:01,740
    [B]: Good morning & welcome.
    "#);
}

#[test]
fn arrows_of_any_length_lose_their_dashes() {
    let said = transcript(vec![segment(0, 1_000, " a ---> b ----> c -> d")]);
    assert!(written(&said, Format::Srt, &[]).contains("\na -> b -> c -> d\n"));
}

#[test]
fn words_of_no_duration_at_one_moment_still_give_cues_one_after_the_other() {
    let words = (0..5).map(|_| word(1_000, 1_000, " now")).collect();
    let said = transcript(vec![Segment { words, ..segment(1_000, 1_000, " now now now now now") }]);
    let tsv = written(&said, Format::Tsv, &[("max_words_per_line", "1")]);
    assert!(tsv.contains("1000\t1001\tnow\n1001\t1002\tnow\n"), "{tsv}");
}

/// A million words at once must not take a minute.
#[test]
fn huge_transcripts_are_laid_out_in_linear_time() {
    let huge = transcript(vec![segment(0, 100_000_000, &" a".repeat(100_000))]);
    let rules = [("max_line_width", "1000"), ("max_line_count", "100"), ("max_cue_seconds", "3600")];
    assert!(written(&huge, Format::Srt, &rules).len() > 200_000);
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Every character of the channel's cues, in order.
fn shown(cues: &[Cue], channel: Option<usize>) -> String {
    let own = cues.iter().filter(|cue| cue.channel == channel);
    own.flat_map(|cue| cue.lines.iter().flatten()).map(|unit| unit.text.as_str()).collect()
}

fn any_rules() -> impl Strategy<Value = SubtitleRules> {
    let or_not = |range: std::ops::Range<usize>| prop::option::of(range);
    let times = (prop::option::of(100..9_000u64), prop::option::of(0..3_000u64), prop::option::of(0..200u64));
    (any::<bool>(), or_not(1..60), or_not(1..4), or_not(1..12), times, prop::option::of(1.0..40.0f32))
        .prop_map(
            |(tidy, max_line_width, max_line_count, max_words_per_line, (most, least, gap), max_cps)| {
                let time = std::time::Duration::from_millis;
                SubtitleRules {
                    tidy,
                    max_line_width,
                    max_line_count,
                    max_words_per_line,
                    max_cue: most.map(time),
                    min_cue: least.map(time),
                    max_cps,
                    gap: gap.map(time),
                }
            },
        )
}

proptest! {
    #[test]
    fn no_word_is_lost_doubled_or_moved(transcript in any_transcript(), rules in any_rules()) {
        let layout = Layout { subtitles: rules, ..Layout::new(Format::Srt) };
        let cues = cues(&transcript, &layout, Speakers::InText);
        for channel in [None, Some(0), Some(1), Some(2)] {
            let own = transcript.segments.iter().filter(|segment| segment.channel == channel);
            let said: String = own.map(|segment| letters(&segment.text)).collect();
            prop_assert_eq!(shown(&cues, channel), said);
        }
        prop_assert!(cues.iter().all(|cue| cue.lines.iter().all(|line| !line.is_empty())));
    }

    #[test]
    fn lines_and_cues_hold_no_more_than_asked(transcript in any_transcript(), rules in any_rules()) {
        let layout = Layout { subtitles: rules.clone(), ..Layout::new(Format::Srt) };
        let rules = rules.settled();
        for cue in cues(&transcript, &layout, Speakers::InText) {
            for (number, line) in cue.lines.iter().enumerate() {
                let mut text = if number == 0 { cue.prefix() } else { String::new() };
                for (index, unit) in line.iter().enumerate() {
                    text.push_str(if unit.spaced && index > 0 { " " } else { "" });
                    text.push_str(&unit.text);
                }
                let fits = rules.max_line_width.is_none_or(|most| width(&text) <= most);
                prop_assert!(fits || line.len() == 1, "{:?} is wider than {:?}", text, rules.max_line_width);
                prop_assert!(rules.max_words_per_line.is_none_or(|most| line.len() <= most));
            }
            let counted = rules.max_line_width.or(rules.max_words_per_line).and(rules.max_line_count);
            prop_assert!(counted.is_none_or(|most| cue.lines.len() <= most));
        }
    }

    #[test]
    fn cues_are_shown_in_order_for_as_long_as_the_rules_say(transcript in any_transcript(), rules in any_rules()) {
        prop_assume!(rules.any());
        let layout = Layout { subtitles: rules.clone(), ..Layout::new(Format::Srt) };
        let rules = rules.settled();
        let cues = cues(&transcript, &layout, Speakers::InText);
        prop_assert!(cues.is_sorted_by_key(|cue| cue.start));
        for (index, cue) in cues.iter().enumerate() {
            prop_assert!(cue.start < cue.end);
            let length = cue.end - cue.start;
            prop_assert!(rules.max_cue.is_none_or(|most| length <= millis(most)));
            let own = cues[index + 1..].iter().find(|next| next.channel == cue.channel);
            let room = |next: &Cue| next.start - rules.gap.map_or(0, millis).min((next.start - cue.start) / 2);
            prop_assert!(own.is_none_or(|next| cue.end <= room(next)), "{:?} {:?}", cue, own);
            // Shorter than a reader needs only where something stands in the way.
            let wanted = rules.min_cue.map_or(0, millis)
                .max(rules.max_cps.map_or(0, |cps| (cue.width() as f64 * 1e3 / f64::from(cps)) as u64));
            let next = cues.iter().map(|next| next.start).find(|start| *start > cue.start);
            let blocked = next.is_some_and(|next| cue.end + rules.gap.map_or(0, millis) >= next)
                || cue.end >= millis(transcript.duration)
                || rules.max_cue.is_some_and(|most| length == millis(most));
            prop_assert!(length >= wanted || blocked, "{} ms of {}: {:?}", length, wanted, cue);
        }
    }

    #[test]
    fn highlighted_files_are_valid(transcript in any_transcript(), rules in any_rules()) {
        let layout =
            Layout { subtitles: rules, highlight_words: true, ..Layout::new(Format::Vtt) };
        let vtt = render(&transcript, &layout).body;
        for block in vtt.split("\n\n").skip(1).filter(|block| !block.is_empty()) {
            let (times, text) = block.split_once('\n').unwrap();
            let (start, end) = times.split_once(" --> ").unwrap();
            // Clocks of one width sort as text.
            let mut last = start;
            for stamp in text.split('<').skip(1).filter(|tag| tag.starts_with(|c: char| c.is_ascii_digit())) {
                let stamp = stamp.split_once('>').unwrap().0;
                prop_assert!(last < stamp && stamp < end, "{}", block);
                last = stamp;
            }
            prop_assert_eq!(text.matches("<c>").count(), text.matches("</c>").count());
        }
        let srt = render(&transcript, &Layout { format: Format::Srt, ..layout }).body;
        for block in srt.split("\n\n").filter(|block| !block.is_empty()) {
            let mut lines = block.lines();
            prop_assert!(lines.next().unwrap().parse::<usize>().is_ok());
            let (start, end) = lines.next().unwrap().split_once(" --> ").unwrap();
            prop_assert!(start < end);
            prop_assert!(!lines.any(|line| line.is_empty() || line.contains("-->")));
        }
    }
}
