"""The commands: audit, doctor, splice and trace, on real nets and real Caffe."""
