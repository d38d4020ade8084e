//! The payloads of hosted commands: each field is read as it was written, and what is not of the grammar is refused for its
//! reason.

use selur_protocol::{
    Command, ContainerId, ContainerName, ContainerRef, Frame, HEADER_BYTES, Hosted, ImageReference,
    MAX_OPTIONS_BYTES, Reason, Request, Status, Subject,
};

fn hosted() -> impl Iterator<Item = Command> {
    Command::ALL.into_iter().filter(|command| command.is_hosted())
}

/// The verdict on a payload, read as a whole frame.
#[track_caller]
fn check(command: Command, payload: &str, expected: Result<(Subject<'_>, Option<&str>), Reason>) {
    let mut frame = vec![0; HEADER_BYTES + payload.len()];
    Frame::encode(command, &[payload.as_bytes()], &mut frame).expect("room");
    let read = Request::parse(&Frame::parse(&frame).expect("a frame"));
    let expected = expected.map(|(subject, options)| {
        Request::Hosted(Hosted {
            command,
            subject,
            options,
        })
    });
    let shown: String = payload.chars().take(40).collect();
    assert_eq!(read, expected, "{} {shown:?}", command.name());
}

fn image(text: &str) -> ImageReference<'_> {
    ImageReference::parse(text).expect("an image reference")
}

fn volume(text: &str) -> Subject<'_> {
    Subject::Volume(ContainerName::parse(text).expect("a name"))
}

const WEB: Subject<'static> = Subject::Container(ContainerRef::Name("web"));

#[test]
fn the_commands_from_0x0b_on_are_hosted_and_no_others() {
    for command in Command::ALL {
        assert_eq!(command.is_hosted(), command.code() >= 0x0b, "{}", command.name());
        if !command.is_hosted() {
            assert_eq!(Hosted::parse(command, "web"), Err(Reason::UnknownCommand));
        }
    }
    assert_eq!(hosted().count(), 17);
}

#[test]
fn a_stream_names_its_container_and_may_have_options() {
    use Command::*;
    let spec = "{\"command\":[\"ls\"]}";
    check(Exec, &format!("web\0{spec}"), Ok((WEB, Some(spec))));
    let id = ContainerId::from_bytes([0xab; 16]);
    check(
        Exec,
        &format!("{id}\0{spec}"),
        Ok((Subject::Container(ContainerRef::Id(id)), Some(spec))),
    );
    for command in [Logs, Attach, Stats] {
        check(command, "web", Ok((WEB, None)));
        check(command, "web\0", Ok((WEB, None)));
        check(command, "web\0{\"tail\":1}", Ok((WEB, Some("{\"tail\":1}"))));
        check(command, "web\0not read here", Ok((WEB, Some("not read here"))));
    }
    check(Top, "web", Ok((WEB, None)));
    check(Events, "", Ok((Subject::All, None)));
    check(Events, "{}", Ok((Subject::All, Some("{}"))));
}

#[test]
fn an_image_command_names_its_image() {
    use Command::*;
    let nginx = Subject::Image(image("nginx"));
    for command in [PullImage, PushImage] {
        check(command, "nginx", Ok((nginx, None)));
        check(command, "nginx\0", Ok((nginx, None)));
        check(
            command,
            "nginx\0{\"progress\":true}",
            Ok((nginx, Some("{\"progress\":true}"))),
        );
    }
    check(DeleteImage, "nginx", Ok((nginx, None)));
    check(
        TagImage,
        "nginx\0localhost:5000/mine:2",
        Ok((
            Subject::Tag {
                image: image("nginx"),
                name: image("localhost:5000/mine:2"),
            },
            None,
        )),
    );
    check(
        LoadImage,
        "/tmp/a b.tar",
        Ok((Subject::Path("/tmp/a b.tar"), None)),
    );
    check(
        LoadImage,
        "a.tar\0{\"reference\":\"x\"}",
        Ok((Subject::Path("a.tar"), Some("{\"reference\":\"x\"}"))),
    );
    check(ListImages, "", Ok((Subject::All, None)));
    check(PruneImages, "", Ok((Subject::All, None)));
    check(
        PruneImages,
        "{\"all\":true}",
        Ok((Subject::All, Some("{\"all\":true}"))),
    );
}

#[test]
fn a_volume_command_names_its_volume() {
    use Command::*;
    check(CreateVolume, "data", Ok((volume("data"), None)));
    check(CreateVolume, "data\0{}", Ok((volume("data"), Some("{}"))));
    check(InspectVolume, "data", Ok((volume("data"), None)));
    check(DeleteVolume, "data", Ok((volume("data"), None)));
    check(ListVolumes, "", Ok((Subject::All, None)));
}

#[test]
fn each_way_in_which_a_hosted_request_is_malformed_has_its_reason() {
    use Command::*;
    for command in [Exec, Logs, Attach, Stats, Top] {
        check(command, "", Err(Reason::MissingContainer));
        check(command, "\0{}", Err(Reason::MissingContainer));
        check(command, "-web", Err(Reason::BadContainer));
        check(command, "web\0{}\0", Err(Reason::TooManyFields));
    }
    check(Exec, "web", Err(Reason::MissingExecSpec));
    check(Exec, "web\0", Err(Reason::MissingExecSpec));
    check(Top, "web\0", Err(Reason::TooManyFields));
    for command in [PullImage, PushImage, DeleteImage, TagImage] {
        check(command, "", Err(Reason::MissingImage));
        check(command, "Nginx", Err(Reason::BadImage));
        check(command, "nginx\0alpine\0", Err(Reason::TooManyFields));
    }
    check(DeleteImage, "nginx\0{}", Err(Reason::TooManyFields));
    check(TagImage, "nginx", Err(Reason::MissingImage));
    check(TagImage, "nginx\0", Err(Reason::MissingImage));
    check(TagImage, "nginx\0Mine", Err(Reason::BadImage));
    check(LoadImage, "", Err(Reason::MissingPath));
    check(LoadImage, "\0{}", Err(Reason::MissingPath));
    check(LoadImage, "a.tar\0{}\0", Err(Reason::TooManyFields));
    for command in [CreateVolume, InspectVolume, DeleteVolume] {
        check(command, "", Err(Reason::BadVolumeName));
        check(command, ".data", Err(Reason::BadVolumeName));
        check(command, &"d".repeat(64), Err(Reason::BadVolumeName));
        check(command, &"0a".repeat(16), Err(Reason::NameLooksLikeId));
        check(command, "data\0{}\0", Err(Reason::TooManyFields));
    }
    check(InspectVolume, "data\0", Err(Reason::TooManyFields));
    check(DeleteVolume, "data\0", Err(Reason::TooManyFields));
    for command in [ListImages, ListVolumes] {
        check(command, "{}", Err(Reason::UnexpectedPayload));
        check(command, "\0", Err(Reason::UnexpectedPayload));
    }
    for command in [Events, PruneImages] {
        check(command, "{}\0", Err(Reason::TooManyFields));
        check(command, "\0", Err(Reason::TooManyFields));
    }
}

#[test]
fn options_have_at_most_65536_bytes() {
    use Command::*;
    let (longest, too_long) = (" ".repeat(MAX_OPTIONS_BYTES), " ".repeat(MAX_OPTIONS_BYTES + 1));
    for command in [Exec, Logs, Attach, Stats] {
        check(command, &format!("web\0{longest}"), Ok((WEB, Some(&longest))));
        check(command, &format!("web\0{too_long}"), Err(Reason::OptionsTooLong));
    }
    for command in [PullImage, PushImage, LoadImage, CreateVolume] {
        check(command, &format!("web\0{too_long}"), Err(Reason::OptionsTooLong));
    }
    for command in [Events, PruneImages] {
        check(command, &longest, Ok((Subject::All, Some(&longest))));
        check(command, &too_long, Err(Reason::OptionsTooLong));
    }
}

#[test]
fn every_reason_of_a_malformed_request_says_what_to_do() {
    for reason in Reason::ALL
        .iter()
        .filter(|reason| reason.status() == Status::InvalidRequest)
    {
        assert!(reason.message().len() > 20 && reason.code() < 32, "{reason:?}");
    }
}
