//! What one request costs to understand and one reply to write, without I/O.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringkeeper::types::{Xid, Zxid};
use ringkeeper::wire::frame::Frames;
use ringkeeper::wire::jute::{Reader, Record, Writer};
use ringkeeper::wire::op::{Request, code};
use ringkeeper::wire::reply::{self, ReplyHeader};
use ringkeeper::wire::request::{ReadRequest, SetDataRequest};
use ringkeeper::wire::{Stat, Text};
use std::hint::black_box;

fn get_data() -> Vec<u8> {
    let mut body = Vec::new();
    let path = Text::Borrowed("/bench/keys/n000017");
    ReadRequest { path, watch: false }.encode(&mut Writer::new(&mut body));
    body
}

fn set_data() -> Vec<u8> {
    let mut body = Vec::new();
    let path = Some(Text::Borrowed("/bench/keys/n000017"));
    let record = SetDataRequest { path, data: Some(&[7; 100]), version: -1 };
    record.encode(&mut Writer::new(&mut body));
    body
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    let (get, set) = (get_data(), set_data());
    group.bench_function("decode getData", |b| {
        b.iter(|| Request::decode(code::GetData, &mut Reader::new(black_box(&get))).is_ok());
    });
    group.bench_function("decode setData of 100 B", |b| {
        b.iter(|| Request::decode(code::SetData, &mut Reader::new(black_box(&set))).is_ok());
    });
    let header = ReplyHeader { xid: Xid(17), zxid: Zxid(99), err: 0 };
    let stat = Stat::default();
    let mut out = Vec::with_capacity(4096);
    group.bench_function("encode getData reply of 100 B", |b| {
        b.iter(|| {
            out.clear();
            reply::data(&mut out, header, Some(black_box(&[7; 100])), black_box(&stat));
            out.len()
        });
    });
    group.bench_function("encode setData reply", |b| {
        b.iter(|| {
            out.clear();
            reply::stat(&mut out, header, black_box(&stat));
            out.len()
        });
    });
    let mut stream = Vec::new();
    for _ in 0..64 {
        stream.extend_from_slice(&i32::try_from(get.len()).unwrap().to_be_bytes());
        stream.extend_from_slice(&get);
    }
    group.throughput(Throughput::Elements(64));
    group.bench_function("cut 64 frames out of one read", |b| {
        let mut frames = Frames::new(1 << 20);
        b.iter(|| {
            let mut input = black_box(&stream[..]);
            let mut bytes = 0;
            while let Ok(Some(frame)) = frames.next(&mut input) {
                bytes += frame.len();
            }
            bytes
        });
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
