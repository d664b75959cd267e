//! What a seed means: one history, drawn before anything happens.

use super::point::Point;
use crate::support::stage::URL;

/// Numbers from a seed (SplitMix64, Steele et al. 2014).
pub struct Dice(u64);

/// One history.
#[derive(Clone, Debug)]
pub struct History {
    /// Hosts that are anchored besides the default agent.
    pub hosts: usize,
    /// Finality by depth in place of the node's tag: then three blocks may be undone, else two.
    pub depth: Option<u64>,
    /// A second process with the same key and a journal of its own.
    pub has_rival: bool,
    /// How many endpoints each process asks: 1 or 3.
    pub endpoints: usize,
    /// The key is replaced after this life. Then there is no rival, and no journal is lost: bytes of
    /// a former account that nobody remembers cannot be waited for.
    pub rotates_after: Option<usize>,
    pub lives: Vec<Life>,
    /// The end is driven by `serve`, whose memory outlives a decision.
    pub ends_serving: bool,
    pub last_weather: Vec<Weather>,
}

/// A process from its start to its end by SIGKILL.
#[derive(Clone, Debug)]
pub struct Life {
    /// Which of the processes.
    pub who: usize,
    pub point: Point,
    /// One of the ways to be at the point.
    pub way: u64,
    /// The how-manieth time that the point is reached.
    pub hit: u64,
    /// How many ticks the process still gets there, where it isn't held.
    pub ticks: u64,
    /// `serve --anchor`; else `anchor run --once` again and again.
    pub is_serving: bool,
    /// Where its default agent is to be found: elsewhere, at times, so that there is something to
    /// do again.
    pub url: String,
    /// Blocks after each decision.
    pub pace: u64,
    /// Or after each so many decisions: in life there are many decisions to a block that is final.
    pub every: usize,
    /// Decisions of the rival while this process is held.
    pub rival_rounds: u64,
    /// A held process goes on after its rival has decided, and isn't killed.
    pub is_thawed: bool,
    pub weather: Vec<Weather>,
    pub lie: Option<Lie>,
    /// What happens after its end.
    pub troubles: Vec<Trouble>,
}

/// A fault that may meet every call of a method.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub method: Option<&'static str>,
    pub wrong: Mishap,
    pub percent: u64,
    pub seed: u64,
}

/// What nodes leave out for the length of a life, without an error.
#[derive(Clone, Copy, Debug)]
pub enum Lie {
    /// This one of three endpoints: every event of ours, and what we hold.
    OurEvents(usize),
    /// All endpoints: everything before the newest block.
    OldEvents,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    Refuse,
    LoseReply,
    BadGateway,
    TooManyRequests,
    CutJson,
    WrongId,
    NullResult,
    Twice,
    NoLogs,
    Says(&'static str),
    TakesItAndSays(&'static str),
}

/// What happens between two lives.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// The last blocks are replaced by empty ones.
    Reorg(u64),
    /// The same, and some bytes that we signed are in the first of the new blocks.
    ReorgWith(u64, usize),
    DropPool,
    /// An earlier copy of the journal comes back.
    StaleJournal(usize),
    LostJournal,
    /// Somebody else uses the key, at the mined count or after what is pending, for so many gwei.
    ForeignUse {
        after_pending: bool,
        gwei: u64,
    },
    FeeShock(u64),
    /// One of our tokens is transferred to somebody else; it comes back in the end.
    GiveAway(usize),
    Mine(u64),
    /// Bytes that were signed at any time reach the node again.
    OldBytes(usize),
}

const SEND: &str = "eth_sendRawTransaction";

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap())).unwrap()
    }
}

impl History {
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let depth = dice.chance(40).then_some(3);
        let rotates = dice.chance(30);
        let has_rival = !rotates && dice.chance(35);
        let endpoints = if dice.chance(50) { 3 } else { 1 };
        let draws = Draws { has_rival, rotates, endpoints, undone: depth.unwrap_or(2) };
        let lives: Vec<Life> = (0..1 + dice.below(4)).map(|_| life(&mut dice, draws)).collect();
        Self {
            hosts: dice.index(3),
            depth,
            has_rival,
            endpoints,
            rotates_after: rotates.then(|| dice.index(lives.len())),
            lives,
            ends_serving: dice.chance(15),
            last_weather: weather(&mut dice),
        }
    }
}

/// What the parts of one history have in common.
#[derive(Clone, Copy)]
struct Draws {
    has_rival: bool,
    rotates: bool,
    endpoints: usize,
    /// The most blocks that may be undone.
    undone: u64,
}

impl Draws {
    /// Only others can contradict a node that leaves out the events of a token that went away.
    fn moves_tokens(self) -> bool {
        self.endpoints == 3
    }
}

fn life(dice: &mut Dice, draws: Draws) -> Life {
    let point = dice.pick(&Point::ALL);
    let troubles = (0..dice.below(4)).map(|_| trouble(dice, draws)).collect();
    let way = dice.below(6);
    let pace = match point {
        // Nothing is mined until the fee is raised.
        Point::BeforeBump | Point::AfterBump => 0,
        Point::Included | Point::Settled | Point::Learned | Point::Closed => 1 + dice.below(3),
        Point::Estimating
        | Point::Signing
        | Point::Stored
        | Point::Sent
        | Point::Answered
        | Point::Scanning => dice.pick(&[0, 1, 1, 2, 3]),
    };
    let url = match dice.chance(50) {
        true => format!("https://moved-{}.example", dice.below(100)),
        false => URL.to_owned(),
    };
    let lie = match dice.below(10) {
        0 | 1 if draws.endpoints == 3 => Some(Lie::OurEvents(dice.index(3))),
        2 => Some(Lie::OldEvents),
        _ => None,
    };
    Life {
        who: usize::from(draws.has_rival && dice.chance(35)),
        point,
        way,
        hit: if dice.chance(80) { 1 } else { 2 + dice.below(2) },
        ticks: dice.below(3) * dice.below(15),
        // Only a process that serves has a document that an id could be missing from.
        is_serving: point == Point::Learned || dice.chance(8),
        url,
        pace,
        every: if dice.chance(20) { 12 } else { 1 },
        rival_rounds: dice.below(3),
        is_thawed: dice.chance(30),
        weather: if dice.chance(60) { weather(dice) } else { Vec::new() },
        lie,
        troubles,
    }
}

fn weather(dice: &mut Dice) -> Vec<Weather> {
    let anywhere = [
        Mishap::Refuse,
        Mishap::LoseReply,
        Mishap::BadGateway,
        Mishap::TooManyRequests,
        Mishap::CutJson,
        Mishap::WrongId,
        Mishap::NullResult,
        Mishap::Twice,
        Mishap::Says("header not found"),
    ];
    let sending = [
        Mishap::Refuse,
        Mishap::LoseReply,
        Mishap::BadGateway,
        Mishap::Twice,
        Mishap::NullResult,
        Mishap::Says("nonce too low"),
        Mishap::Says("replacement transaction underpriced"),
        Mishap::Says("insufficient funds for gas * price + value"),
        Mishap::TakesItAndSays("already known"),
        Mishap::TakesItAndSays("nonce too low"),
        Mishap::TakesItAndSays("replacement transaction underpriced"),
    ];
    let mut all = Vec::new();
    let mut add = |method, wrong, percent, seed| {
        all.push(Weather { method, wrong, percent, seed });
    };
    if dice.chance(60) {
        add(Some(SEND), dice.pick(&sending), dice.pick(&[30, 60, 100]), dice.below(1_000));
    }
    if dice.chance(30) {
        add(Some("eth_getLogs"), Mishap::NoLogs, dice.pick(&[10, 25, 50]), dice.below(1_000));
    }
    if dice.chance(60) {
        add(None, dice.pick(&anywhere), 1 + dice.below(3), dice.below(1_000));
    }
    all
}

fn trouble(dice: &mut Dice, draws: Draws) -> Trouble {
    let undone = draws.undone;
    match dice.below(16) {
        0..=2 => Trouble::Reorg(1 + dice.below(undone)),
        3 | 4 => Trouble::ReorgWith(1 + dice.below(undone), dice.index(16)),
        5 => Trouble::DropPool,
        6 | 7 if !draws.rotates => Trouble::StaleJournal(dice.index(64)),
        8 if !draws.rotates => Trouble::LostJournal,
        6..=9 => Trouble::ForeignUse { after_pending: dice.chance(50), gwei: dice.pick(&[3, 90]) },
        // Above the ceiling of 100, and below.
        10 => Trouble::FeeShock(dice.pick(&[8, 30, 60, 150])),
        11 | 12 => Trouble::OldBytes(dice.index(16)),
        13 | 14 if draws.moves_tokens() => Trouble::GiveAway(dice.index(3)),
        _ => Trouble::Mine(1 + dice.below(4)),
    }
}
