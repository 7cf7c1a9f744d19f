//! x
fn main() {
    let crd = saga_operator::api::crd::definition().unwrap();
    print!("{}", serde_saphyr::to_string(&crd).unwrap());
}
