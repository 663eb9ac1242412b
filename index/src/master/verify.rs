//! Reading a whole master segment.

use super::Master;
use crate::leaf::{Leaf, signed};
use crate::verify::verify_tree;
use disk::FormatError;
use sample::ChannelName;

impl Master {
    /// Reads every page, decodes every row and name; compares what stands in several places.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and offset, or the disk's.
    pub fn verify(&self) -> Result<(), FormatError> {
        let last = |leaf: &Leaf, row| signed(leaf.field(row, 4)).wrapping_add(leaf.field(row, 5) as i64);
        verify_tree(&self.tree, &self.footer, last)?;
        for row in self.all_rows()? {
            row?;
        }
        let wrong = |what| Err(self.tree.pages.damaged(self.footer.names_begin, what));
        let mut newest: Option<ChannelName> = None;
        let mut names = 0;
        for name in self.names_from("")? {
            let (name, named) = name?;
            if newest.as_ref().is_some_and(|newest| *newest >= name) {
                return wrong("names are out of order");
            }
            if self.find(name.as_str())?.as_ref() != Some(&named) {
                return wrong("a name is not found under its hash");
            }
            newest = Some(name);
            names += 1;
        }
        if names == self.footer.names {
            Ok(())
        } else {
            wrong("there are not as many names as the footer says")
        }
    }
}
