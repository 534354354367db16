//! Messages as conversations. Nothing here calls itself: a chain of replies may be as long as a mailbox.
use std::collections::HashMap;

use crate::imap::content::Summary;
use crate::imap::parse::Threading;

/// Steps up a chain of replies that are looked at before something is hung under it.
const DEEPEST: usize = 1_000;

/// A message that was found: the number it is told by, and what its header says.
pub(super) struct Found {
    pub number: u32,
    /// When it was sent, or else when it came.
    pub moment: i64,
    pub summary: Summary,
}

/// `* THREAD …`, without its end.
pub(super) fn write(by: Threading, found: &[Found]) -> String {
    let mut forest = match by {
        Threading::OrderedSubject => ordered_subject(found),
        Threading::References => references(found),
    };
    forest.sort(found);
    let mut line = String::from("* THREAD");
    if !forest.roots.is_empty() {
        line.push(' ');
    }
    forest.write(found, &mut line);
    line
}

/// A place in the forest: a message, or one that others refer to and that is not here.
#[derive(Default)]
struct Node {
    message: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

#[derive(Default)]
struct Forest {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

impl Forest {
    fn add(&mut self, message: Option<usize>) -> usize {
        self.nodes.push(Node { message, ..Node::default() });
        self.nodes.len() - 1
    }

    fn children(&self, node: usize) -> &[usize] {
        self.nodes.get(node).map_or(&[], |node| node.children.as_slice())
    }

    fn message(&self, node: usize) -> Option<usize> {
        self.nodes.get(node).and_then(|node| node.message)
    }

    fn parent(&self, node: usize) -> Option<usize> {
        self.nodes.get(node).and_then(|node| node.parent)
    }

    /// Whether `node` is `above` or below it; also when it is too far down to tell.
    fn is_below(&self, node: usize, above: usize) -> bool {
        // Under one that has nothing below it there is only itself.
        if node == above || self.children(above).is_empty() {
            return node == above;
        }
        let mut at = node;
        for _ in 0..DEEPEST {
            match self.parent(at) {
                None => return false,
                Some(parent) if parent == above => return true,
                Some(parent) => at = parent,
            }
        }
        true
    }

    /// Hangs `child` under `parent`, unless that would close a circle.
    fn hang(&mut self, child: usize, parent: usize) {
        if self.is_below(parent, child) {
            return;
        }
        self.cut(child);
        if let Some(node) = self.nodes.get_mut(child) {
            node.parent = Some(parent);
        }
        if let Some(node) = self.nodes.get_mut(parent) {
            node.children.push(child);
        }
    }

    fn cut(&mut self, child: usize) {
        let parent = self.nodes.get_mut(child).and_then(|node| node.parent.take());
        if let Some(node) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            node.children.retain(|other| *other != child);
        }
    }

    /// All nodes, each after those below it.
    fn upwards(&self) -> Vec<usize> {
        let (mut order, mut open) = (Vec::with_capacity(self.nodes.len()), self.roots.clone());
        while let Some(node) = open.pop() {
            order.push(node);
            open.extend(self.children(node));
        }
        order.reverse();
        order
    }

    /// Siblings by when they were sent, then by number; where a message is missing its first child counts.
    // spec: rfc5256#3 step 6
    fn sort(&mut self, found: &[Found]) {
        let mut ranks: Vec<(i64, u32)> = vec![(i64::MAX, u32::MAX); self.nodes.len()];
        for at in self.upwards() {
            let rank = |node: &usize| ranks.get(*node).copied().unwrap_or((i64::MAX, u32::MAX));
            let mut children = self.nodes.get_mut(at).map(|node| std::mem::take(&mut node.children)).unwrap_or_default();
            children.sort_by_key(rank);
            let own = self.message(at).and_then(|message| found.get(message)).map(|found| (found.moment, found.number));
            let own = own.or_else(|| children.first().map(rank)).unwrap_or((i64::MAX, u32::MAX));
            if let Some(place) = ranks.get_mut(at) {
                *place = own;
            }
            if let Some(node) = self.nodes.get_mut(at) {
                node.children = children;
            }
        }
        self.roots.sort_by_key(|node| ranks.get(*node).copied().unwrap_or((i64::MAX, u32::MAX)));
    }

    /// `(1 2 (3)(4 5))`: an only child stands beside its parent, several in parentheses of their own.
    fn write(&self, found: &[Found], line: &mut String) {
        enum Step {
            Open(usize),
            Close,
        }
        let mut open: Vec<Step> = self.roots.iter().rev().map(|root| Step::Open(*root)).collect();
        while let Some(step) = open.pop() {
            let Step::Open(mut node) = step else {
                line.push(')');
                continue;
            };
            line.push('(');
            open.push(Step::Close);
            let mut first = true;
            loop {
                if let Some(found) = self.message(node).and_then(|message| found.get(message)) {
                    if !first {
                        line.push(' ');
                    }
                    first = false;
                    line.push_str(&found.number.to_string());
                }
                match self.children(node) {
                    [] => break,
                    [only] => node = *only,
                    several => {
                        if !first {
                            line.push(' ');
                        }
                        open.extend(several.iter().rev().map(|child| Step::Open(*child)));
                        break;
                    }
                }
            }
        }
    }
}

/// Messages of one subject: the first, and the others under it. spec: rfc5256#3 ORDEREDSUBJECT
fn ordered_subject(found: &[Found]) -> Forest {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|at| found.get(*at).map(|found| (found.moment, found.number)));
    let (mut forest, mut first): (Forest, HashMap<&str, usize>) = (Forest::default(), HashMap::new());
    for at in order {
        let Some(message) = found.get(at) else { continue };
        let node = forest.add(Some(at));
        match first.get(message.summary.subject.as_str()) {
            Some(parent) => forest.hang(node, *parent),
            None => {
                first.insert(&message.summary.subject, node);
                forest.roots.push(node);
            }
        }
    }
    forest
}

/// spec: rfc5256#3 REFERENCES
fn references(found: &[Found]) -> Forest {
    let mut forest = Forest::default();
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    // Step 1: a node for each message and each id referred to, hung as the references say.
    for (at, message) in found.iter().enumerate() {
        let known = message.summary.id.as_deref().map(|id| *by_id.entry(id).or_insert_with(|| forest.add(None)));
        let own = match known.filter(|node| forest.message(*node).is_none()) {
            Some(node) => {
                if let Some(node) = forest.nodes.get_mut(node) {
                    node.message = Some(at);
                }
                node
            }
            // Without an id, or with one that another has: a message of its own.
            None => forest.add(Some(at)),
        };
        let mut last = None;
        for id in &message.summary.references {
            let node = *by_id.entry(id).or_insert_with(|| forest.add(None));
            if let Some(last) = last
                && forest.parent(node).is_none()
            {
                forest.hang(node, last);
            }
            last = Some(node);
        }
        // The last reference is the parent, whatever others said.
        match last {
            Some(parent) if parent != own => forest.hang(own, parent),
            _ => {}
        }
    }
    // Steps 2 and 3: the roots, without what is not here.
    forest.roots = (0..forest.nodes.len()).filter(|node| forest.parent(*node).is_none()).collect();
    prune(&mut forest);
    forest.sort(found);
    by_subject(&mut forest, found);
    forest
}

/// What is not here goes, what is below it takes its place; at the top it stays over several.
// spec: rfc5256#3 step 3
fn prune(forest: &mut Forest) {
    let count = forest.nodes.len();
    // For each node the nearest message above it, and its root.
    let (mut nearest, mut root, mut below): (Vec<Option<usize>>, Vec<usize>, Vec<usize>) = (vec![None; count], (0..count).collect(), vec![0; count]);
    let mut downwards = forest.upwards();
    downwards.reverse();
    for &at in &downwards {
        let parent = forest.parent(at);
        let above = parent.and_then(|parent| if forest.message(parent).is_some() { Some(parent) } else { nearest.get(parent).copied().flatten() });
        let top = parent.and_then(|parent| root.get(parent).copied()).unwrap_or(at);
        if let (Some(nearest), Some(root)) = (nearest.get_mut(at), root.get_mut(at)) {
            (*nearest, *root) = (above, top);
        }
        if forest.message(at).is_some()
            && above.is_none()
            && let Some(below) = below.get_mut(top)
        {
            *below += 1;
        }
    }
    forest.roots.clear();
    forest.nodes.iter_mut().for_each(|node| (node.parent, node.children) = (None, Vec::new()));
    for at in downwards {
        let top = root.get(at).copied().unwrap_or(at);
        let several = below.get(top).is_some_and(|below| *below > 1);
        let parent = match nearest.get(at).copied().flatten() {
            _ if forest.message(at).is_none() => {
                if top == at && several {
                    forest.roots.push(at);
                }
                continue;
            }
            Some(parent) => Some(parent),
            None => (top != at && several).then_some(top),
        };
        match parent {
            Some(parent) => forest.hang(at, parent),
            None => forest.roots.push(at),
        }
    }
}

/// Conversations of one subject come together. spec: rfc5256#3 step 5
fn by_subject(forest: &mut Forest, found: &[Found]) {
    let of = |forest: &Forest, root: usize| {
        let message = forest.message(root).or_else(|| forest.children(root).first().and_then(|child| forest.message(*child)));
        message.and_then(|message| found.get(message)).map(|found| (&found.summary.subject, found.summary.replies))
    };
    // The one of a subject that others join: first one that is not here, then one that is no reply.
    let mut chosen: HashMap<&String, usize> = HashMap::new();
    for &root in &forest.roots {
        let Some((subject, replies)) = of(forest, root).filter(|(subject, _)| !subject.is_empty()) else { continue };
        let better = chosen.get(subject).is_none_or(|other| {
            let (here, there) = (forest.message(root).is_none(), forest.message(*other).is_none());
            let other_replies = of(forest, *other).is_some_and(|(_, replies)| replies);
            (here && !there) || (here == there && !here && other_replies && !replies)
        });
        if better {
            chosen.insert(subject, root);
        }
    }
    for root in std::mem::take(&mut forest.roots) {
        let target = of(forest, root).and_then(|(subject, _)| chosen.get(subject)).copied().filter(|target| *target != root);
        let Some(target) = target else {
            forest.roots.push(root);
            continue;
        };
        let (gone, target_gone) = (forest.message(root).is_none(), forest.message(target).is_none());
        let (replies, target_replies) = (of(forest, root).is_some_and(|(_, replies)| replies), of(forest, target).is_some_and(|(_, replies)| replies));
        match (gone, target_gone) {
            (true, true) => {
                for child in forest.nodes.get_mut(root).map(|node| std::mem::take(&mut node.children)).unwrap_or_default() {
                    if let Some(node) = forest.nodes.get_mut(child) {
                        node.parent = None;
                    }
                    forest.hang(child, target);
                }
            }
            (false, true) => forest.hang(root, target),
            _ if replies && !target_replies => forest.hang(root, target),
            // Two that answer the same, or neither: side by side under one that is not here.
            _ => {
                let above = forest.add(None);
                forest.hang(target, above);
                forest.hang(root, above);
                forest.roots.push(above);
                if let Some((subject, _)) = of(forest, root) {
                    chosen.insert(subject, above);
                }
            }
        }
    }
    // One that was put under another after it had been left at the top is told there alone.
    let top: Vec<usize> = forest.roots.iter().copied().filter(|root| forest.parent(*root).is_none()).collect();
    forest.roots = top;
}
