pub async fn all(_node: bool) -> bool {
    true
}
