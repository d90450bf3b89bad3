//! Uploads to a bucket that checks everything, with faults on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod gate;

use std::path::Path;
use std::sync::{Arc, Mutex};

use gate::s3::Bucket;
use gate::{Fault, Gate, Reply, destination, image, journals};
use mailkiln_upload::{
    Artifact, Destination, Outcome, Silent, UploadError, abandon, next, prune, upload,
};

const KEYS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
/// Two whole parts and a bit.
const LENGTH: usize = (10 << 20) + 12345;

struct Scene {
    folder: tempfile::TempDir,
    bucket: Arc<Mutex<Bucket>>,
    gate: Gate,
    image: Artifact,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path(), LENGTH, 7);
        let bucket = Bucket::shared();
        let kept = Arc::clone(&bucket);
        let gate = Gate::start(move |request| kept.lock().unwrap().answer(request));
        Self { folder, bucket, gate, image }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn s3(&self, more: &[(&str, &str)]) -> Box<dyn Destination> {
        let mut given =
            vec![("endpoint", self.gate.address.as_str()), ("bucket", "bucket"), ("part-mib", "5")];
        given.extend(more);
        destination("s3", &given, KEYS).unwrap()
    }

    fn upload(&self) -> Result<Outcome, UploadError> {
        upload("s3", self.s3(&[]).as_ref(), &self.image, &Silent::default())
            .map(|(outcome, _)| outcome)
    }

    fn is_whole(&self) {
        let bucket = self.bucket.lock().unwrap();
        let (bytes, meta) = bucket.objects.values().next().expect("there is an object");
        assert!(*bytes == std::fs::read(&self.image.path).unwrap(), "the object is the image");
        assert_eq!(meta["x-amz-meta-mailkiln-sha256"], self.image.sha256.to_string());
        assert_eq!(meta["x-amz-meta-mailkiln-lock-time"], self.image.lock_time);
        assert_eq!(meta["x-amz-meta-mailkiln-version"], self.image.version);
        assert!(bucket.uploads.is_empty(), "no unfinished upload is left");
        assert_eq!(journals(self.folder()), 0);
    }
}

#[test]
fn an_image_arrives_and_is_not_sent_twice() {
    let scene = Scene::new();
    assert_eq!(scene.upload().unwrap(), Outcome::Uploaded);
    scene.is_whole();
    assert_eq!(scene.gate.count("PUT", "partNumber"), 3);
    scene.gate.forget();
    assert_eq!(scene.upload().unwrap(), Outcome::AlreadyThere);
    assert_eq!(scene.gate.count("PUT", "") + scene.gate.count("POST", ""), 0);
    assert_eq!(journals(scene.folder()), 0);
}

#[test]
fn what_passes_is_tried_again() {
    let slow = "<Error><Code>SlowDown</Code><Message>m</Message></Error>";
    for fault in [
        Fault::Answer(Reply::new(503, slow)),
        Fault::Answer(Reply::new(500, "")),
        Fault::Answer(Reply::new(429, "").with("retry-after", "0")),
        Fault::Reset(1000),
        Fault::Reset(0),
        Fault::Lost,
    ] {
        let scene = Scene::new();
        for (method, word) in [("POST", "uploads"), ("PUT", "partNumber=2"), ("POST", "uploadId")] {
            scene.gate.fail(2, method, word, fault.clone());
        }
        assert_eq!(scene.upload().unwrap(), Outcome::Uploaded, "{fault:?}");
        let lost = matches!(fault, Fault::Lost);
        if lost {
            // Beginnings whose answers were lost can't be known; a bucket's rule removes such uploads after days.
            scene.bucket.lock().unwrap().uploads.clear();
        }
        scene.is_whole();
    }
}

#[test]
fn a_broken_upload_goes_on_where_it_ended() {
    let scene = Scene::new();
    scene.gate.fail(u32::MAX, "PUT", "partNumber=3", Fault::Reset(10));
    let error = scene.upload().unwrap_err();
    assert!(matches!(error, UploadError::Unreachable { tries: 4, .. }), "{error}");
    assert!(error.hint().unwrap().contains("goes on"));
    assert_eq!(journals(scene.folder()), 1);
    scene.gate.heal();
    scene.gate.forget();
    assert_eq!(scene.upload().unwrap(), Outcome::Uploaded);
    assert_eq!(scene.gate.count("PUT", "partNumber"), 1, "only the missing part is sent");
    assert_eq!(scene.gate.count("POST", "uploads"), 0, "the same upload goes on");
    scene.is_whole();
}

#[test]
fn parts_that_the_server_lost_are_sent_again() {
    let scene = Scene::new();
    scene.gate.fail(u32::MAX, "PUT", "partNumber=3", Fault::Reset(10));
    scene.upload().unwrap_err();
    scene.gate.heal();
    scene.bucket.lock().unwrap().uploads.values_mut().next().unwrap().parts.remove(&1);
    scene.gate.forget();
    scene.upload().unwrap();
    assert_eq!(scene.gate.count("PUT", "partNumber"), 2);
    scene.is_whole();
    // And where the whole upload has gone, another begins.
    let scene = Scene::new();
    scene.gate.fail(u32::MAX, "PUT", "partNumber=3", Fault::Reset(10));
    scene.upload().unwrap_err();
    scene.gate.heal();
    scene.bucket.lock().unwrap().uploads.clear();
    scene.upload().unwrap();
    scene.is_whole();
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let scene = Scene::new();
    let quota = "<Error><Code>QuotaExceeded</Code><Message>Too much</Message></Error>";
    scene.gate.fail(1, "PUT", "partNumber=2", Fault::Answer(Reply::new(400, quota)));
    let error = scene.upload().unwrap_err();
    assert!(error.to_string().contains("Too much") && error.hint().unwrap().contains("--prune"));
    assert!(scene.bucket.lock().unwrap().uploads.is_empty());
    assert_eq!(journals(scene.folder()), 0);
}

#[test]
fn wrong_keys_regions_and_buckets_are_named() {
    let scene = Scene::new();
    let run = |given: &[(&str, &str)], secret: &str| {
        let mut all = vec![("endpoint", scene.gate.address.as_str())];
        all.extend(given);
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", secret)];
        let s3 = destination("s3", &all, &keys).unwrap();
        upload("s3", s3.as_ref(), &scene.image, &Silent::default()).unwrap_err()
    };
    let wrong_key = run(&[("bucket", "bucket")], "wrong");
    assert!(wrong_key.to_string().contains("403"), "{wrong_key}");
    let bucket = run(&[("bucket", "other")], "secret");
    assert!(bucket.hint().unwrap().contains("make the bucket `other`"), "{bucket}");
    assert_eq!(journals(scene.folder()), 0);
    assert!(matches!(
        destination("s3", &[("bucket", "a/../b")], KEYS),
        Err(UploadError::Setting { .. })
    ));
    let none = destination("s3", &[("bucket", "bucket")], &[]);
    assert!(matches!(none, Err(UploadError::NoCredentials { .. })));
}

#[test]
fn expired_keys_keep_what_was_sent() {
    let scene = Scene::new();
    let expired = "<Error><Code>ExpiredToken</Code><Message>m</Message></Error>";
    scene.gate.fail(u32::MAX, "PUT", "partNumber=3", Fault::Answer(Reply::new(400, expired)));
    let error = scene.upload().unwrap_err();
    assert!(matches!(error, UploadError::Expired { .. }), "{error}");
    scene.gate.heal();
    scene.gate.forget();
    scene.upload().unwrap();
    assert_eq!(scene.gate.count("PUT", "partNumber"), 1);
    scene.is_whole();
}

#[test]
fn a_file_that_changes_is_not_completed() {
    let scene = Scene::new();
    let mut bytes = std::fs::read(&scene.image.path).unwrap();
    bytes[LENGTH - 1] ^= 1;
    std::fs::write(&scene.image.path, bytes).unwrap();
    let error = scene.upload().unwrap_err();
    assert!(matches!(error, UploadError::Changed { .. }), "{error}");
    let bucket = scene.bucket.lock().unwrap();
    assert!(bucket.objects.is_empty() && bucket.uploads.is_empty());
    assert_eq!(journals(scene.folder()), 0);
}

#[test]
fn another_image_under_the_same_name_begins_afresh() {
    let mut scene = Scene::new();
    scene.gate.fail(u32::MAX, "PUT", "partNumber=3", Fault::Reset(10));
    scene.upload().unwrap_err();
    scene.gate.heal();
    scene.image = image(scene.folder.path(), LENGTH, 99);
    assert_eq!(scene.upload().unwrap(), Outcome::Uploaded);
    scene.is_whole();
}

#[test]
fn an_upload_can_be_abandoned() {
    let scene = Scene::new();
    let s3 = scene.s3(&[]);
    assert!(!abandon("s3", s3.as_ref(), &scene.image).unwrap());
    scene.gate.fail(u32::MAX, "PUT", "partNumber=3", Fault::Reset(10));
    scene.upload().unwrap_err();
    assert!(abandon("s3", s3.as_ref(), &scene.image).unwrap());
    assert!(scene.bucket.lock().unwrap().uploads.is_empty());
    assert_eq!(journals(scene.folder()), 0);
}

#[test]
fn a_whole_object_that_arrived_altered_is_an_error() {
    let scene = Scene::new();
    let other = "<R><ChecksumSHA256>AAAA-3</ChecksumSHA256></R>";
    scene.gate.fail(1, "POST", "uploadId", Fault::Answer(Reply::new(200, other)));
    assert!(matches!(scene.upload().unwrap_err(), UploadError::Corrupt { .. }));
    let scene = Scene::new();
    let late = "<Error><Code>InternalError</Code><Message>m</Message></Error>";
    scene.gate.fail(1, "POST", "uploadId", Fault::Answer(Reply::new(200, late)));
    assert!(scene.upload().unwrap_err().to_string().contains("InternalError"));
    assert!(scene.bucket.lock().unwrap().uploads.is_empty());
}

#[test]
fn old_images_are_pruned_and_others_left() {
    let scene = Scene::new();
    {
        let mut bucket = scene.bucket.lock().unwrap();
        for key in [
            "mail-example-org-test-x86-64-20260101-000000000001.img",
            "mail-example-org-test-x86-64-20260201-000000000002.img",
            "mail-example-org-test-x86-64-two-20260101-000000000003.img",
            "mail-example-org-test-x86-64-20260101-notes.txt",
        ] {
            bucket.objects.insert(key.to_owned(), Default::default());
        }
    }
    let s3 = scene.s3(&[]);
    let removed = prune(s3.as_ref(), &scene.image.name, 1, None).unwrap();
    assert_eq!(removed.len(), 1);
    assert!(removed[0].name.ends_with("000000000001.img"));
    assert_eq!(scene.bucket.lock().unwrap().objects.len(), 3);
}

#[test]
fn what_comes_next_is_rendered_for_every_destination() {
    let scene = Scene::new();
    let s3 = scene.s3(&[]);
    let (_, stored) = upload("s3", s3.as_ref(), &scene.image, &Silent::default()).unwrap();
    let entry = mailkiln_upload::Entry::named("s3").unwrap();
    let next = next(entry, s3.as_ref(), &scene.image, &stored).unwrap();
    assert!(next.commands.contains(&stored.id), "{next:?}");
    assert!(!next.commands.contains("{{"));
}
