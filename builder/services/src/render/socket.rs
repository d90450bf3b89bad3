//! A [`Socket`] as a systemd unit: systemd.socket(5).

use super::RenderError;
use super::unit::{Directive, UnitText, literal};
use crate::{Service, Socket};

/// What enables each of them.
const TARGET: &str = "sockets.target";

/// The units of a service's sockets: name and text.
pub(super) fn units(service: &Service) -> Result<Vec<(String, String)>, RenderError> {
    let sockets = service.sockets.iter();
    sockets.map(|it| text(service, it).map(|(name, text)| (name, text.finish()))).collect()
}

/// The link that enables a unit of [`units`].
pub(super) fn link(unit: &str) -> (String, String) {
    (format!("/etc/systemd/system/{TARGET}.wants/{unit}"), format!("../{unit}"))
}

fn text(service: &Service, socket: &Socket) -> Result<(String, UnitText), RenderError> {
    let name = format!("{}.socket", socket.unit(service));
    let mut text = UnitText::new(name.clone());
    text.section("Unit");
    text.set("Description", literal(service.description))?;
    text.section("Socket");
    text.set("ListenStream", literal(&socket.address))?;
    text.set("FileDescriptorName", socket.name)?;
    text.set("Service", service.unit())?;
    if let (true, Some(user)) = (socket.is_unix(), service.user) {
        // Whoever is in the group is believed as a proxy.
        text.set("SocketGroup", user.name)?;
        text.set("SocketMode", "0660")?;
        text.flag("RemoveOnStop", true)?;
    }
    text.section("Install");
    text.set("WantedBy", TARGET)?;
    Ok((name, text))
}

impl Service {
    /// The settings of the unit of one of its sockets, by the unit's name.
    ///
    /// # Errors
    /// [`RenderError`] when a value can't be written down.
    pub fn socket_directives(
        &self,
        socket: &Socket,
    ) -> Result<(String, Vec<Directive>), RenderError> {
        text(self, socket).map(|(name, text)| (name, text.directives()))
    }
}
